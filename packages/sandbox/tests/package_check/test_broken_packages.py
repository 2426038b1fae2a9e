"""Whatever is broken in a package on purpose, its check finds, and says where."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.package_check.all_checks import check_project
from sandbox.package_check.component_tools import run_component_tests
from sandbox.package_check.findings import Findings

PROJECT = Path(__file__).parents[4] / "deployments/salesforce"
CORE = "force-app/main/default"
RAISE = f"{CORE}/flows/Raise_Invoice.flow-meta.xml"
PRICE = f"{CORE}/flows/Invoice_Price.flow-meta.xml"
PRICE_BOOK = f"{CORE}/flows/Invoice_Price_Book.flow-meta.xml"
SETTING = "custom-metadata/main/default/customMetadata/Invoicing_Setting.Default.md-meta.xml"
SEND = f"{CORE}/flows/Invoice_Send_To_Customer.flow-meta.xml"
SAVE = f"{CORE}/flows/Invoice_Before_Save.flow-meta.xml"
CREDIT = f"{CORE}/flows/Invoice_Credit.flow-meta.xml"
INVOICE = f"{CORE}/objects/Stripe_Invoice__c"
LINE = f"{CORE}/objects/Stripe_Invoice_Line__c"
LINE_RULE = f"{LINE}/validationRules/Lines_Of_A_Sent_Invoice_Stay.validationRule-meta.xml"
KEEP = f"{CORE}/flows/Invoice_Line_Before_Delete.flow-meta.xml"
ACTION = f"{CORE}/quickActions/Account.Raise_Invoice.quickAction-meta.xml"
USERS = f"{CORE}/permissionsets/Invoice_User.permissionset-meta.xml"
PAGE = f"{CORE}/flexipages/Invoice_Record_Page.flexipage-meta.xml"
LAYOUT = f"{CORE}/layouts/Stripe_Invoice__c-Invoice Layout.layout-meta.xml"
DRAFTS = f"{INVOICE}/listViews/Drafts.listView-meta.xml"
INTEGRATION = f"{CORE}/permissionsets/Invoice_Integration.permissionset-meta.xml"
CHANNEL = f"{CORE}/platformEventChannels/Invoice_Requests__chn.platformEventChannel-meta.xml"
MEMBER = (
    f"{CORE}/platformEventChannelMembers/"
    "Invoice_Requests_chn_Stripe_Invoice_Request_ChangeEvent.platformEventChannelMember-meta.xml"
)
PROGRESS = f"{CORE}/lwc/requestProgress/requestProgress"
CLASS = f"{PROGRESS}.js"
CONFIGURATION = f"{PROGRESS}.js-meta.xml"
REPORTS = "extras/main/default/reports/Stripe_Invoices"
AGES = f"{REPORTS}/Receivables_By_Age.report-meta.xml"
INVOICED = f"{REPORTS}/Invoiced_By_Month.report-meta.xml"
REPORT_TYPE = "extras/main/default/reportTypes/Stripe_Invoices.reportType-meta.xml"
DASHBOARD = "extras/main/default/dashboards/Stripe_Invoices/Receivables.dashboard-meta.xml"


def to(name: str) -> str:
    """A connector's target, as a file has it."""
    return f"<targetReference>{name}</targetReference>"


BROKEN = {
    "an unknown element": (ACTION, "<label>", "<colour>red</colour><label>", "colour"),
    "a wrong word": (ACTION, "<type>Flow<", "<type>Flaw<", "Flaw"),
    "something required is missing": (
        ACTION,
        "<optionsCreateFeedItem>false</optionsCreateFeedItem>",
        "",
        "optionsCreateFeedItem",
    ),
    "no XML": (ACTION, "</label>", "", "no XML"),
    "another type's root": (ACTION, "QuickAction", "Report", "its root is to be QuickAction"),
    "a connector to nothing": (RAISE, to("Summary"), to("Total"), "leads to Total"),
    "an element that nothing leads to": (RAISE, to("Hidden"), to("Unreadable"), "Hidden is never"),
    "a way back that does not say so": (
        RAISE,
        f"<isGoTo>true</isGoTo>\n            {to('Details')}",
        to("Details"),
        "leads back to Details",
    ),
    "a rule of a page that asks for no permission that there is": (
        PAGE,
        "{!$Permission.CustomPermission.Approve_Invoices}",
        "{!$Permission.CustomPermission.Approve}",
        "there is no custom permission Approve",
    ),
    "a flow that asks for no permission that there is": (
        KEEP,
        "$Permission.Mirror_Stripe",
        "$Permission.Mirror",
        "there is no $Permission.Mirror",
    ),
    "a flow that asks for no field of its record": (
        KEEP,
        "$Record.Invoice__r.Status__c",
        "$Record.Invoice__r.State__c",
        "there is no $Record.Invoice__r.State__c",
    ),
    "a flow before the deletion of nothing": (
        KEEP,
        "<object>Stripe_Invoice_Line__c<",
        "<object>Stripe_Line__c<",
        "there is no object Stripe_Line__c",
    ),
    "an error that is too long": (KEEP, "the customer has it", "x" * 255, "255 fit"),
    "a flow that does more before a deletion than the sandbox runs": (
        KEEP,
        "<triggerType>RecordBeforeDelete<",
        "<triggerType>RecordAfterSave<",
        "triggerType RecordAfterSave cannot be run",
    ),
    "an unknown variable": (
        RAISE,
        "<elementReference>bookPrice<",
        "<elementReference>bookPrize<",
        "nothing is called bookPrize",
    ),
    "an unknown name in a text": (RAISE, "{!productName}&lt;", "{!product}&lt;", "called product"),
    "an unknown name in a formula": (RAISE, "{!Quantity} *", "{!Amount} *", "called Amount"),
    "an unknown function": (RAISE, "LEN({!Line_Text})", "SIZE({!Line_Text})", "SIZE is not known"),
    "a variable that nothing uses": (
        RAISE,
        "<name>noLines<",
        "<name>emptyLines<",
        "emptyLines is not used",
    ),
    "a name given twice": (RAISE, "<name>Undo<", "<name>Done<", "the name of several things"),
    "a field that a record has not": (
        RAISE,
        "invoice.Due_Date__c",
        "invoice.Due_Day__c",
        "no field Due_Day__c",
    ),
    "a field that a query does not ask for": (
        RAISE,
        "{!Get_Account.Name}",
        "{!Get_Account.Phone}",
        "Get_Account does not ask for Phone",
    ),
    "a queried field that is not there": (
        PRICE,
        "<queriedFields>UnitPrice<",
        "<queriedFields>ListPrice<",
        "no field ListPrice",
    ),
    "a field of other orgs": (
        PRICE,
        "<queriedFields>UnitPrice<",
        "<queriedFields>CurrencyIsoCode<",
        "no field CurrencyIsoCode",
    ),
    "an object that is not there": (
        PRICE,
        "<object>PricebookEntry<",
        "<object>Price<",
        "object Price",
    ),
    "a computed field that is written": (
        RAISE,
        "line.Currency__c",
        "line.Draft_Amount__c",
        "line.Draft_Amount__c cannot be written",
    ),
    "a value that a choice does not offer": (
        SEND,
        "<stringValue>Send<",
        "<stringValue>Post<",
        "Stripe_Invoice_Request__c.Action__c has no value Post",
    ),
    "a required field that is left empty": (
        SEND,
        "<field>Action__c<",
        "<field>Parameters__c<",
        "Stripe_Invoice_Request__c.Action__c must be filled",
    ),
    "a setting that is no field of its type": (
        SETTING,
        "<field>Currency__c<",
        "<field>Money__c<",
        "Invoicing_Setting__mdt has no field Money__c",
    ),
    "a setting that does not fit": (
        SETTING,
        '<value xsi:nil="true"/>',
        "<value>Euros</value>",
        "Currency__c has 5 characters",
    ),
    "a setting that nothing reads": (
        PRICE_BOOK,
        "<queriedFields>Currency__c<",
        "<queriedFields>MasterLabel<",
        "Currency__c.field-meta.xml: no flow reads it",
    ),
    "a setting that nobody may read": (
        USERS,
        "<name>Invoicing_Setting__mdt<",
        "<name>Setting__mdt<",
        "there is no custom metadata type Setting__mdt",
    ),
    "a rule that changes with a field of another record": (
        LINE_RULE,
        "ISCHANGED(Product__c)",
        "ISCHANGED(Invoice__r.Footer__c)",
        "ISCHANGED takes no field of another record, as Invoice__r.Footer__c is",
    ),
    "a rule that compares a picklist as a text": (
        LINE_RULE,
        "ISPICKVAL(Invoice__r.Status__c, &quot;Draft&quot;)",
        "Invoice__r.Status__c = &quot;Draft&quot;",
        "Invoice__r.Status__c is a picklist, and compared as a text",
    ),
    "a rule of a field that is not there": (
        LINE_RULE,
        "ISCHANGED(Product__c)",
        "ISCHANGED(Service__c)",
        "there is no field Service__c",
    ),
    "a rule that is too long": (
        LINE_RULE,
        "ISCHANGED(Product__c)",
        " || ".join(["ISCHANGED(Product__c)"] * 200),
        "errorConditionFormula has",
    ),
    "a rule that nobody is let through": (
        INTEGRATION,
        "<name>Mirror_Stripe<",
        "<name>Mirror<",
        "CustomPermission Mirror_Stripe is in no permission set",
    ),
    "a flow that is not there": (
        RAISE,
        "<flowName>Invoice_Price<",
        "<flowName>Price<",
        "no flow Price",
    ),
    "an input that is not taken": (
        PRICE,
        "<name>productId<",
        "<name>product<",
        "Invoice_Price has no input productId",
    ),
    "no way to go on failure": (
        SEND,
        f"<faultConnector>\n            {to('Undo')}\n        </faultConnector>",
        "",
        "has no way to go when it fails",
    ),
    "a query that may find nothing": (
        SEND,
        "<leftValueReference>Get_Invoice<",
        "<leftValueReference>recordId<",
        "nothing asks whether Get_Invoice found something",
    ),
    "what is written is not taken back": (RAISE, to("Undo"), to("Failed"), "is not rolled back"),
    "written before all is asked": (
        RAISE,
        to("Each_Line"),
        to("Summary"),
        "people are asked something afterwards",
    ),
    "written in a loop": (RAISE, to("Point_At_Invoice"), to("Create_Lines"), "in the loop"),
    "a flow's element that nobody has tried": (
        RAISE,
        "<fieldType>RadioButtons<",
        "<fieldType>MultiSelectCheckboxes<",
        "fields with fieldType MultiSelectCheckboxes cannot be run in the sandbox",
    ),
    "a flow's part that nobody has tried": (
        SEND,
        "<allowPause>false",
        "<rules><name>Rule</name></rules><allowPause>false",
        "screens with rules cannot be run in the sandbox",
    ),
    "an action without its flow": (ACTION, ">Raise_Invoice<", ">Raise<", "there is no flow Raise"),
    "an action's flow that takes no record": (
        ACTION,
        ">Raise_Invoice<",
        ">Invoice_Price<",
        "Invoice_Price is no active screen flow",
    ),
    "a granted field that is not there": (
        USERS,
        "Stripe_Invoice__c.Footer__c",
        "Stripe_Invoice__c.Foot__c",
        "there is no field Stripe_Invoice__c.Foot__c",
    ),
    "a field that is in a set no longer": (
        USERS,
        "Stripe_Invoice__c.Footer__c",
        "Stripe_Invoice__c.Foot__c",
        "Stripe_Invoice__c.Footer__c is missing",
    ),
    "a required field that is granted": (
        USERS,
        "Stripe_Invoice__c.Footer__c",
        "Stripe_Invoice__c.Currency__c",
        "cannot be granted",
    ),
    "a right without the one it needs": (
        USERS,
        "<allowRead>true</allowRead>",
        "<allowRead>false</allowRead>",
        "needs allowRead",
    ),
    "a flow that is granted and not there": (
        USERS,
        "<flow>Raise_Invoice<",
        "<flow>Raise<",
        "there is no flow Raise",
    ),
    "a flow that nobody may start": (
        USERS,
        "<flow>Raise_Invoice<",
        "<flow>Raise<",
        "the flow Raise_Invoice is in no permission set",
    ),
    "a tab that is not there": (
        USERS,
        "<tab>Stripe_Invoice__c<",
        "<tab>Invoice__c<",
        "no tab Invoice__c",
    ),
    "an unknown component": (
        PAGE,
        "flexipage:tabset",
        "flexipage:accordion",
        "component flexipage:accordion",
    ),
    "a field on a page that is not there": (
        PAGE,
        "Record.Footer__c",
        "Record.Foot__c",
        "no field Foot__c",
    ),
    "a computed field that a page asks for": (
        PAGE,
        "Record.Footer__c",
        "Record.Draft_Subtotal__c",
        "Draft_Subtotal__c cannot be written: readonly",
    ),
    "a required field that a page does not ask for": (
        PAGE,
        "Record.Footer__c",
        "Record.Currency__c",
        "Currency__c must be filled",
    ),
    "an unknown operator of a rule": (PAGE, ">NE<", ">IS<", "operator IS is not known"),
    "a region that is not there": (
        PAGE,
        "<name>body</name>\n                    <value>Facet-stripe-tab<",
        "<name>body</name>\n                    <value>Facet-stripe<",
        "there is no region Facet-stripe",
    ),
    "an unknown operation of a list": (
        DRAFTS,
        ">equals<",
        ">excludes<",
        "operation excludes is not known",
    ),
    "an action on a page that is not there": (
        PAGE,
        "Stripe_Invoice__c.Resend",
        "Stripe_Invoice__c.Mail",
        "there is no action Stripe_Invoice__c.Mail",
    ),
    "a related list that is not there": (
        PAGE,
        ">Lines__r<",
        ">Items__r<",
        "no related list Items__r",
    ),
    "a rule on a field that is not there": (
        PAGE,
        "{!Record.Status__c}",
        "{!Record.State__c}",
        "no field State__c",
    ),
    "a rule on a value that is not there": (
        PAGE,
        "<rightValue>Open<",
        "<rightValue>Opened<",
        "Status__c has no value Opened",
    ),
    "an identifier given twice": (
        PAGE,
        "<identifier>details<",
        "<identifier>timeline<",
        "timeline identifies 2 things",
    ),
    "a page that is not there": (
        f"{INVOICE}/Stripe_Invoice__c.object-meta.xml",
        "Invoice_Record_Page",
        "Record_Page",
        "there is no page Record_Page",
    ),
    "a field on no layout": (LAYOUT, "Footer__c", "Number__c", "Footer__c is on no layout"),
    "a column that is not there": (DRAFTS, ">Due_Date__c<", ">Due__c<", "no field Due__c"),
    "a filter on a value that is not there": (
        DRAFTS,
        ">Draft<",
        ">New<",
        "Status__c has no value New",
    ),
    "a formula with an unknown field": (
        f"{LINE}/fields/Draft_Amount__c.field-meta.xml",
        "Discount_Amount__c",
        "Rebate__c",
        "refers to Rebate__c",
    ),
    "a formula that leads to another object": (
        f"{LINE}/fields/Draft_Amount__c.field-meta.xml",
        "UPPER(Currency__c)",
        "UPPER(Invoice__r.Currency__c)",
        "refers to Invoice__r.Currency__c",
    ),
    "a roll-up of nothing": (
        f"{INVOICE}/fields/Draft_Subtotal__c.field-meta.xml",
        "Stripe_Invoice_Line__c.Draft_Amount__c",
        "Stripe_Invoice_Line__c.Net__c",
        "no number that can be summed up",
    ),
    "events of an object that is not there": (
        MEMBER,
        "Stripe_Invoice_Request__ChangeEvent",
        "Stripe_Request__ChangeEvent",
        "no object whose changes are Stripe_Request__ChangeEvent",
    ),
    "a channel that is not there": (
        MEMBER,
        ">Invoice_Requests__chn<",
        ">Requests__chn<",
        "there is no channel Requests__chn",
    ),
    "a channel that carries nothing": (
        MEMBER,
        ">Invoice_Requests__chn<",
        ">ChangeEvents<",
        "nothing is on this channel",
    ),
    "a channel of another type": (CHANNEL, ">data<", ">event<", "type event are not known"),
    "events that nobody may listen to": (
        INTEGRATION,
        "<viewAllRecords>true<",
        "<viewAllRecords>false<",
        "no permission set lets anybody view all records of Stripe_Invoice_Request__c",
    ),
    "a label that is too long": (
        f"{LINE}/fields/Quantity__c.field-meta.xml",
        "<label>Quantity<",
        f"<label>{'Quantity ' * 5}<",
        "label has 45 characters",
    ),
    "a field that is called otherwise than its file": (
        f"{LINE}/fields/Quantity__c.field-meta.xml",
        "<fullName>Quantity__c<",
        "<fullName>Count__c<",
        "it calls itself Count__c",
    ),
    "a component that is not there": (
        SEND,
        "<extensionName>c:requestProgress<",
        "<extensionName>c:progress<",
        "there is no component c:progress",
    ),
    "a component's input that it does not take": (
        SEND,
        "<name>requestId<",
        "<name>recordId<",
        "c:requestProgress takes no recordId",
    ),
    "a component without what it needs": (
        SEND,
        "<name>requestId<",
        "<name>recordId<",
        "c:requestProgress needs requestId",
    ),
    "a component that is given what it cannot use": (
        SEND,
        "<value>\n                    <elementReference>Ask<",
        "<value>\n                    <elementReference>Is_Asked_For<",
        "c:requestProgress: requestId is String, and is given Boolean",
    ),
    "an id that a created record does not give": (
        SEND,
        "<storeOutputAutomatically>true</storeOutputAutomatically>\n    </recordCreates>",
        "</recordCreates>",
        "requestId is String, and is given nothing",
    ),
    "a component that is for no flow": (
        CONFIGURATION,
        "lightning__FlowScreen",
        "lightning__RecordPage",
        "c:requestProgress cannot stand on the screen of a flow",
    ),
    "a target that is configured and not there": (
        CONFIGURATION,
        "<target>lightning__FlowScreen<",
        "<target>lightning__RecordPage<",
        "lightning__FlowScreen is configured, and is no target",
    ),
    "a component that nobody may use": (
        CONFIGURATION,
        "<isExposed>true<",
        "<isExposed>false<",
        "it has targets, and is not exposed",
    ),
    "a property of another type": (
        CONFIGURATION,
        'type="String"',
        'type="Boolean"',
        "requestId is Boolean, and is given String",
    ),
    "a property that is given back": (
        CONFIGURATION,
        ' role="inputOnly"',
        "",
        "requestId can be given back",
    ),
    "a property that its class keeps to itself": (
        CLASS,
        "@api requestId",
        "requestId",
        "the property requestId is not public",
    ),
    "a component's field that is not there": (
        CLASS,
        "Stripe_Invoice_Request__c.Outcome__c",
        "Stripe_Invoice_Request__c.Result__c",
        "it imports Stripe_Invoice_Request__c.Result__c, which is not there",
    ),
    "a module that nobody has tried": (
        CLASS,
        "from 'lightning/uiRecordApi'",
        "from 'lightning/empApi'",
        "the module lightning/empApi cannot be run in the sandbox",
    ),
    "a function that nobody has tried": (
        CLASS,
        "import { getFieldValue, getRecord,",
        "import { getFieldValue, getRecords,",
        "lightning/uiRecordApi has no getRecords in the sandbox",
    ),
    "a component of the platform that nobody has tried": (
        f"{PROGRESS}.html",
        "<p lwc:if={outcome}",
        "<lightning-spinner></lightning-spinner><p lwc:if={outcome}",
        "lightning-spinner cannot be run in the sandbox",
    ),
    "a report type's column that is no field": (
        REPORT_TYPE,
        "<field>Total__c<",
        "<field>Sum__c<",
        "Stripe_Invoice__c has no field Sum__c",
    ),
    "a report's column that its type lacks": (
        REPORT_TYPE,
        "<field>Total__c<",
        "<field>Tax__c<",
        "the report type Stripe_Invoices has no column Stripe_Invoice__c$Total__c",
    ),
    "a report of no type": (
        AGES,
        ">Stripe_Invoices__c<",
        ">Invoices__c<",
        "no report type Inv",
    ),
    "a report that adds up currencies": (
        AGES,
        "<field>Stripe_Invoice__c$Currency__c<",
        "<field>Stripe_Invoice__c$Owner<",
        "adds up amounts of different currencies",
    ),
    "a grand total over all currencies": (
        INVOICED,
        "<showGrandTotal>false<",
        "<showGrandTotal>true<",
        "adds up amounts of different currencies",
    ),
    "a column that is grouped by": (
        AGES,
        "<field>Stripe_Invoice__c$Number__c<",
        "<field>Stripe_Invoice__c$Account__c<",
        "is grouped by, and a column",
    ),
    "a filter for what never is": (INVOICED, "Void,Deleted", "Voided", "Status__c is never Voided"),
    "a report's formula of another field": (
        AGES,
        "ISBLANK(Stripe_Invoice__c.Due_Date__c)",
        "ISBLANK(Stripe_Invoice__c.Due__c)",
        "there is no field Stripe_Invoice__c.Due__c",
    ),
    "a report's formula that cannot be read": (AGES, "ISBLANK(", "EMPTY(", "EMPTY is not known"),
    "a report without its folder": (
        "extras/main/default/reports/Stripe_Invoices.reportFolder-meta.xml",
        "ReportFolder",
        "DashboardFolder",
        "there is no folder Stripe_Invoices",
    ),
    "a dashboard of no report": (
        DASHBOARD,
        "/Paid_By_Month<",
        "/Paid<",
        "no report Stripe",
    ),
    "a chart of what is not grouped": (
        DASHBOARD,
        "<groupingColumn>CDF1<",
        "<groupingColumn>CDF2<",
        "is not grouped by CDF2",
    ),
    "a chart that adds up currencies": (
        DASHBOARD,
        "<groupingColumn>Stripe_Invoice__c$Currency__c</groupingColumn>",
        "",
        "it adds up currencies of the report",
    ),
    "a chart of another sum": (
        DASHBOARD,
        "<column>Stripe_Invoice__c$Total__c<",
        "<column>Stripe_Invoice__c$Subtotal__c<",
        "does not add up Stripe_Invoice__c$Subtotal__c",
    ),
    "a report type with a column twice": (
        REPORT_TYPE,
        "<field>Tax__c<",
        "<field>Total__c<",
        "Total__c is a column more than once",
    ),
    "a report that leaves amounts to be added up by hand": (
        INVOICED,
        "<aggregateTypes>Sum</aggregateTypes>",
        "",
        "Tax__c is a number, and is not added up",
    ),
    "a report that adds up what is no number": (
        INVOICED,
        "<columns>\n        <field>Stripe_Invoice__c$Status__c<",
        "<columns>\n        <aggregateTypes>Sum</aggregateTypes>"
        "<field>Stripe_Invoice__c$Status__c<",
        "Status__c is no number to add up",
    ),
    "a report of months whose time is another": (
        INVOICED,
        "<dateColumn>Stripe_Invoice__c$Finalized_At__c<",
        "<dateColumn>Stripe_Invoice__c$Due_Date__c<",
        "it is grouped by Finalized_At__c, and its time is that of Due_Date__c",
    ),
    "a report of what is ticked, in another word": (
        f"{REPORTS}/Overdue_By_Owner.report-meta.xml",
        "<value>1<",
        "<value>yes<",
        "Is_Overdue__c is 0 or 1",
    ),
    "a chart beyond its dashboard": (
        DASHBOARD,
        "<columnIndex>6<",
        "<columnIndex>8<",
        "Overdue by Owner reaches beyond the 12 columns",
    ),
    "charts over one another": (
        DASHBOARD,
        "<columnIndex>6<",
        "<columnIndex>5<",
        "Receivables by Age and Overdue by Owner stand in one place",
    ),
    "two charts of one name": (
        DASHBOARD,
        "<header>Paid by Month<",
        "<header>Invoiced by Month<",
        "two parts are called Invoiced by Month",
    ),
    "a lookup that holds back the deletion of a product": (
        f"{LINE}/fields/Product__c.field-meta.xml",
        "<deleteConstraint>SetNull<",
        "<deleteConstraint>Restrict<",
        "Cannot add a lookup relationship child with cascade or restrict options to Product2",
    ),
    "parts of one name that stand apart": (
        USERS,
        "<label>Invoice User</label>",
        "<label>Invoice User</label><flowAccesses><enabled>true</enabled>"
        "<flow>Invoice_Approve</flow></flowAccesses>",
        "Element flowAccesses is duplicated at this location",
    ),
    "a folder for everybody who is a group": (
        "extras/main/default/reports/Stripe_Invoices.reportFolder-meta.xml",
        "<sharedToType>Organization<",
        "<sharedToType>Group<",
        "AllInternalUsers goes with the type Organization alone",
    ),
    "a dashboard's folder for an organization that is a group": (
        "extras/main/default/dashboards/Stripe_Invoices.dashboardFolder-meta.xml",
        "<sharedTo>AllInternalUsers<",
        "<sharedTo>Invoice_Approvers<",
        "AllInternalUsers goes with the type Organization alone",
    ),
    "a column of a list that is called as its field": (
        DRAFTS,
        "<columns>NAME<",
        "<columns>Name<",
        "Name has another name in lists",
    ),
    "a custom metadata type that is deployed": (
        f"{CORE}/objects/Invoicing_Setting__mdt/Invoicing_Setting__mdt.object-meta.xml",
        "<description>",
        "<deploymentStatus>Deployed</deploymentStatus><description>",
        "a custom metadata type cannot say deploymentStatus",
    ),
    "a lookup that deletes what refers to it": (
        f"{INVOICE}/fields/Bill_To__c.field-meta.xml",
        "<deleteConstraint>SetNull<",
        "<deleteConstraint>Cascade<",
        "only Salesforce lets a lookup delete what refers to it",
    ),
    "a lookup with an order of masters": (
        f"{INVOICE}/fields/Bill_To__c.field-meta.xml",
        "<required>",
        "<relationshipOrder>0</relationshipOrder><required>",
        "a Lookup cannot say relationshipOrder",
    ),
    "a count of a field": (
        f"{INVOICE}/fields/Draft_Subtotal__c.field-meta.xml",
        "<summaryOperation>sum<",
        "<summaryOperation>count<",
        "a count is of records, everything else of a field",
    ),
    "a roll-up with decimals of its own": (
        f"{INVOICE}/fields/Draft_Subtotal__c.field-meta.xml",
        "<summarizedField>",
        "<scale>2</scale><summarizedField>",
        "a Summary cannot say scale",
    ),
    "a formula that is unique": (
        f"{LINE}/fields/Draft_Amount__c.field-meta.xml",
        "<unique>false<",
        "<unique>true<",
        "a formula cannot be unique",
    ),
    "a lookup that must be filled and is emptied": (
        f"{INVOICE}/fields/Account__c.field-meta.xml",
        "<deleteConstraint>Restrict<",
        "<deleteConstraint>SetNull<",
        "cannot be emptied",
    ),
    "a lookup to its own object that holds back deletions": (
        f"{INVOICE}/fields/Replaces__c.field-meta.xml",
        "<deleteConstraint>SetNull<",
        "<deleteConstraint>Restrict<",
        "a lookup to its own object holds back no deletion",
    ),
    "a checkbox without a default": (
        f"{INVOICE}/fields/Is_Overdue__c.field-meta.xml",
        "<defaultValue>false</defaultValue>",
        "",
        "a Checkbox says its defaultValue",
    ),
    "a short long text": (
        f"{INVOICE}/fields/Footer__c.field-meta.xml",
        "<length>5000<",
        "<length>200<",
        "a LongTextArea has 256 to 131072 characters",
    ),
    "a long text that must be filled": (
        f"{INVOICE}/fields/Footer__c.field-meta.xml",
        "<type>LongTextArea<",
        "<required>true</required><type>LongTextArea<",
        "a LongTextArea cannot say required",
    ),
    "a number of too many digits": (
        f"{INVOICE}/fields/Total__c.field-meta.xml",
        "<precision>18<",
        "<precision>19<",
        "at most 18 digits",
    ),
    "several defaults": (
        f"{INVOICE}/fields/Status__c.field-meta.xml",
        "<default>false<",
        "<default>true<",
        "several values are its default",
    ),
    "a value given twice": (
        f"{INVOICE}/fields/Status__c.field-meta.xml",
        "<fullName>Void<",
        "<fullName>Paid<",
        "it has the value Paid 2 times",
    ),
    "two relationships of one name": (
        f"{CORE}/objects/Stripe_Invoice_Event__c/fields/Invoice__c.field-meta.xml",
        "<relationshipName>Timeline<",
        "<relationshipName>Lines<",
        "Lines is the name of 2 relationships to Stripe_Invoice__c",
    ),
    "a master that may be left out": (
        f"{LINE}/fields/Invoice__c.field-meta.xml",
        "<type>MasterDetail<",
        "<required>true</required><type>MasterDetail<",
        "a MasterDetail cannot say required",
    ),
    "a detail with a sharing of its own": (
        f"{LINE}/Stripe_Invoice_Line__c.object-meta.xml",
        "<sharingModel>ControlledByParent<",
        "<sharingModel>ReadWrite<",
        "a detail is shared as its master is",
    ),
    "a sharing that follows no master": (
        f"{INVOICE}/Stripe_Invoice__c.object-meta.xml",
        "<sharingModel>ReadWrite<",
        "<sharingModel>ControlledByParent<",
        "it has no master",
    ),
    "a formula without decimals": (
        f"{LINE}/fields/Draft_Amount__c.field-meta.xml",
        "<scale>2</scale>",
        "",
        "a formula that is a number says its scale",
    ),
    "names that do not say where their number is": (
        f"{LINE}/Stripe_Invoice_Line__c.object-meta.xml",
        "LINE-{00000}",
        "LINE",
        "says nowhere where the number is",
    ),
    "a version of its own": (SEND, "<apiVersion>67.0<", "<apiVersion>99.0<", "API version 99.0"),
    "a version that no org has": (
        "sfdx-project.json",
        '"sourceApiVersion": "67.0"',
        '"sourceApiVersion": "99.0"',
        "sfdx-project.json: API version 99.0",
    ),
    "a rule of a status that there is not": (
        LINE_RULE,
        "ISPICKVAL(Invoice__r.Status__c, &quot;Draft&quot;)",
        "ISPICKVAL(Invoice__r.Status__c, &quot;New&quot;)",
        "Invoice__r.Status__c has no value New",
    ),
    "a way that is taken never": (
        SEND,
        "<stringValue>Draft<",
        "<stringValue>New<",
        "Get_Invoice.Status__c has no value New",
    ),
    "a start that never comes": (
        SAVE,
        "<stringValue>Draft<",
        "<stringValue>New<",
        "Stripe_Invoice__c.Status__c has no value New",
    ),
    "a start that asks for no field": (
        SAVE,
        "<field>Previewed_At__c<",
        "<field>Seen_At__c<",
        "Stripe_Invoice__c has no field Seen_At__c",
    ),
    "a start before a save that is a deletion": (
        SAVE,
        "<recordTriggerType>Update<",
        "<recordTriggerType>Delete<",
        "RecordBeforeSave does not go with Delete",
    ),
    "a computed field that a save is to write": (
        SAVE,
        "$Record.Previewed_Tax__c",
        "$Record.Draft_Subtotal__c",
        "$Record.Draft_Subtotal__c cannot be written",
    ),
    "a condition that is not there": (SAVE, "OR 9)", "OR 10)", "there is no condition 10"),
    "a condition that counts for nothing": (SAVE, " OR 9)", ")", "leaves out condition 9"),
    "an action that starts another's flow": (
        f"{CORE}/quickActions/Stripe_Invoice__c.Void.quickAction-meta.xml",
        ">Invoice_Void<",
        ">Invoice_Write_Off<",
        "several actions of Stripe_Invoice__c start Invoice_Write_Off",
    ),
    "a flow that nothing starts": (
        f"{CORE}/quickActions/Stripe_Invoice__c.Void.quickAction-meta.xml",
        ">Invoice_Void<",
        ">Invoice_Write_Off<",
        "Invoice_Void.flow-meta.xml: nothing starts it",
    ),
    "a first choice that is not offered": (
        CREDIT,
        "<defaultSelectedChoiceReference>Back_Nothing<",
        "<defaultSelectedChoiceReference>Why_Other<",
        "Give_Back does not offer Why_Other",
    ),
    "a dropdown that begins with whatever is on top": (
        RAISE,
        "<defaultSelectedChoiceReference>No_Terms</defaultSelectedChoiceReference>",
        "",
        "Payment_Terms does not say what is chosen at first",
    ),
    "a text that would have a choice's label": (
        CREDIT,
        "give_back: {!Give_Back_Value}",
        "give_back: {!Give_Back_Value}{!Give_Back}",
        "Parameters takes Give_Back, and would say Nothing goes back",
    ),
    "a formula that would have a choice's label": (
        CREDIT,
        "ISBLANK({!Amount}), ",
        "ISBLANK({!Give_Back}), ",
        "Amount_Text takes Give_Back, and would say Nothing goes back",
    ),
    "a screen without a way on": (
        SEND,
        "<allowFinish>true<",
        "<allowFinish>false<",
        "nobody can go on from it",
    ),
    "a lookup on a screen that is none": (
        RAISE,
        "<stringValue>Product__c<",
        "<stringValue>Quantity__c<",
        "Stripe_Invoice_Line__c.Quantity__c is no lookup",
    ),
    "details without their master": (
        USERS,
        "<object>Stripe_Invoice__c<",
        "<object>Account<",
        "Permission Read Stripe_Invoice_Line__c depends on permission(s): Read Stripe_Invoice__c",
    ),
    "Opportunities without Accounts": (
        INTEGRATION,
        "<object>Account<",
        "<object>User<",
        "Permission Read Opportunity depends on permission(s): Read Account",
    ),
    "an unknown right of a user": (
        INTEGRATION,
        "SendCustomNotifications",
        "SendNotifications",
        "the user permission SendNotifications is not known",
    ),
    "a layout that lacks what must be filled": (
        f"{CORE}/layouts/Stripe_Invoice_Line__c-Invoice Line Layout.layout-meta.xml",
        "<field>Quantity__c<",
        "<field>LastModifiedById<",
        "Quantity__c must be filled, and is not on it",
    ),
    "a list of a long text": (
        DRAFTS,
        "<filters>\n        <field>Status__c<",
        "<filters>\n        <field>Footer__c<",
        "Footer__c is a long text",
    ),
    "a list of a box that is neither ticked nor not": (
        f"{INVOICE}/listViews/Overdue.listView-meta.xml",
        "<value>1<",
        "<value>yes<",
        "Is_Overdue__c has no value yes",
    ),
    "a list of days that there are not": (
        f"{INVOICE}/listViews/Paid_This_Month.listView-meta.xml",
        "THIS_MONTH",
        "THE_MONTH",
        "Paid_At__c has no value THE_MONTH",
    ),
    "two lists of one name": (
        DRAFTS,
        "<label>Drafts<",
        "<label>Open<",
        "2 lists of Stripe_Invoice__c are called Open",
    ),
    "a column given twice": (
        DRAFTS,
        "<columns>Currency__c<",
        "<columns>Account__c<",
        "Account__c is a column more than once",
    ),
    "a long text among the highlights": (
        f"{INVOICE}/compactLayouts/Invoice_Highlights.compactLayout-meta.xml",
        "<fields>Due_Date__c<",
        "<fields>Footer__c<",
        "Footer__c is a long text",
    ),
    "a component that is told what it does not know": (
        PAGE,
        "<name>relatedListApiName<",
        "<name>relatedListName<",
        "force:relatedListSingleContainer has no property relatedListName",
    ),
    "a list of a page's own that shows what is not there": (
        PAGE,
        "<value>Draft_Amount__c<",
        "<value>Drafted_Amount__c<",
        "Stripe_Invoice_Line__c has no field Drafted_Amount__c",
    ),
    "a list of a page's own that is sorted by what is not there": (
        PAGE,
        "<value>Position__c<",
        "<value>Place__c<",
        "Stripe_Invoice_Line__c has no field Place__c",
    ),
    "a list of a page's own that is sorted in no known way": (
        PAGE,
        "<value>Ascending<",
        "<value>Asc<",
        "Lines__r cannot be sorted Asc",
    ),
    "a list of a page's own with an action that is not known": (
        PAGE,
        "<value>New<",
        "<value>MassChangeOwner<",
        "Lines__r cannot offer MassChangeOwner",
    ),
    "a rule of a page that leaves out a condition": (
        PAGE,
        "<booleanFilter>(1 OR 2 OR 3 OR 4 OR 5) AND 6<",
        "<booleanFilter>(1 OR 2 OR 3 OR 4) AND 6<",
        "leaves out condition 5",
    ),
    "a button that is shown to those who may not press it": (
        PAGE,
        "<booleanFilter>(1 OR 2 OR 3 OR 4 OR 5) AND 6<",
        "<booleanFilter>1 OR 2 OR 3 OR 4 OR 5 OR 6<",
        "Stripe_Invoice__c.Clone_Invoice is shown to Invoice_Approver, which does not open its",
    ),
    "a button that is hidden from those who may press it": (
        PAGE,
        "$Permission.CustomPermission.Ask_For_Invoice_Actions",
        "$Permission.CustomPermission.Approve_Invoices",
        "Stripe_Invoice__c.Void is never shown to Invoice_User, which opens its flow",
    ),
    "a rule of a page that asks who lacks a permission": (
        PAGE,
        "<rightValue>true<",
        "<rightValue>false<",
        "Approve_Invoices is asked for otherwise than as EQUAL true",
    ),
    "an unknown arrangement of a page": (
        PAGE,
        "flexipage:recordHomeTemplateDesktop",
        "flexipage:recordHomeTemplate",
        "the template flexipage:recordHomeTemplate is not known",
    ),
    "a page of another type": (
        PAGE,
        "<type>RecordPage<",
        "<type>AppPage<",
        "pages of type AppPage",
    ),
    "an action that is on a page twice": (
        PAGE,
        "<value>Stripe_Invoice__c.Resend<",
        "<value>Stripe_Invoice__c.Credit<",
        "the action Stripe_Invoice__c.Credit is on it more than once",
    ),
    "a part of a page that is shown nowhere": (
        PAGE,
        "<value>Facet-preview<",
        "<value>Facet-approval<",
        "Facet-preview is shown nowhere",
    ),
    "a page in the place of no action": (
        f"{INVOICE}/Stripe_Invoice__c.object-meta.xml",
        "<actionName>View<",
        "<actionName>Look<",
        "there is no action Look to override",
    ),
    "a tab of no style": (
        f"{CORE}/tabs/Stripe_Invoice__c.tab-meta.xml",
        "Custom18: Form",
        "Form",
        "Form is no style of tabs",
    ),
    "a standard tab of no object": (
        f"{CORE}/applications/Invoices.app-meta.xml",
        "standard-Product2",
        "standard-Article",
        "there is no tab standard-Article",
    ),
    "a notification that is called otherwise than its file": (
        f"{CORE}/notificationtypes/Invoice_Approval.notiftype-meta.xml",
        "<customNotifTypeName>Invoice_Approval<",
        "<customNotifTypeName>Invoice_Waits<",
        "it calls itself Invoice_Waits",
    ),
    "a report type that nobody sees": (
        REPORT_TYPE,
        "<deployed>true<",
        "<deployed>false<",
        "it is not deployed, so that nobody can run its reports",
    ),
}
"""What is done: the file, what in it becomes what, and what is said of it."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of a whole package, to be broken."""
    return shutil.copytree(PROJECT, tmp_path / "project")


def test_a_whole_package_passes() -> None:
    """The package that is here has nothing wrong."""
    findings = check_project(PROJECT)
    assert findings.failures == []
    assert findings.checks > 1000


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_found(name: str, project: Path) -> None:
    """One thing is broken at a time, and the check names it."""
    file, before, after, said = BROKEN[name]
    text = (project / file).read_text(encoding="utf-8")
    assert before in text
    (project / file).write_text(text.replace(before, after), encoding="utf-8")
    failures = check_project(project).failures
    assert any(said in sentence for sentence in failures), failures


def test_a_layout_of_a_standard_object_is_refused(project: Path) -> None:
    """Deploying one would overwrite the org's own."""
    layouts = project / CORE / "layouts"
    own = layouts / "Stripe_Invoice_Event__c-Invoice Event Layout.layout-meta.xml"
    shutil.copy(own, layouts / "Account-Account Layout.layout-meta.xml")
    assert any("overwrite the org's own" in said for said in check_project(project).failures)


RULE = """<?xml version="1.0" encoding="UTF-8"?>
<ValidationRule xmlns="http://soap.sforce.com/2006/04/metadata">
    <fullName>Sent</fullName>
    <active>true</active>
    <errorConditionFormula>NOT({permission}) &amp;&amp; ISCHANGED({field})</errorConditionFormula>
    <errorDisplayField>{field}</errorDisplayField>
    <errorMessage>Only a draft can be changed.</errorMessage>
</ValidationRule>
"""
PERMISSION = """<?xml version="1.0" encoding="UTF-8"?>
<CustomPermission xmlns="http://soap.sforce.com/2006/04/metadata">
    <isLicensed>false</isLicensed>
    <label>Change what was sent</label>
</CustomPermission>
"""
GRANT = """    <customPermissions>
        <enabled>true</enabled>
        <name>Change_Sent</name>
    </customPermissions>
    <description>"""


@pytest.mark.parametrize(
    ("permission", "field", "said"),
    [
        ("$Permission.Change_Sent", "Footer__c", ""),
        ("$Permission.Change", "Footer__c", "there is no custom permission Change."),
        ("$Permission.Change_Sent", "Foot__c", "there is no field Foot__c"),
        ("$Permission.Change_Sent &amp;&amp; SIZE(Name)", "Footer__c", "SIZE is not known"),
    ],
)
def test_a_validation_rule_names_what_is_there(
    project: Path, permission: str, field: str, said: str
) -> None:
    """Its fields, the permission that it yields to, and functions that are known."""
    path = project / INVOICE / "validationRules/Sent.validationRule-meta.xml"
    path.write_text(RULE.format(permission=permission, field=field), encoding="utf-8")
    path = project / CORE / "customPermissions/Change_Sent.customPermission-meta.xml"
    path.write_text(PERMISSION, encoding="utf-8")
    sets = project / INTEGRATION
    text = sets.read_text(encoding="utf-8")
    sets.write_text(text.replace("    <description>", GRANT, 1), encoding="utf-8")
    failures = check_project(project).failures
    assert any(said in sentence for sentence in failures) if said else failures == []


def test_a_file_that_no_type_has_is_refused(project: Path) -> None:
    """What no deploy would take does not lie around in a package."""
    (project / CORE / "flows/notes.txt").write_text("To do", encoding="utf-8")
    shutil.move(project / ACTION, project / CORE / "flows")
    failures = check_project(project).failures
    assert any("no metadata type" in said for said in failures)
    assert any("stand in quickActions/" in said for said in failures)


def test_the_command_says_what_is_wrong_and_counts(project: Path, tmp_path: Path) -> None:
    """Its last line is one JSON object, and its end says whether something failed.

    Nothing passes in silence: without Node it says that no component was tested, and fails in CI.
    """
    command = [sys.executable, "-m", "sandbox.package_check"]
    bare = {"PATH": "/nowhere", "SANDBOX_CACHE": str(tmp_path / "cache")}

    def checked(folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
        environment = bare | more
        return subprocess.run(
            [*command, folder], env=environment, capture_output=True, text=True, check=False
        )

    whole = checked(PROJECT)
    counts = json.loads(whole.stdout.splitlines()[-1])
    assert (whole.returncode, counts["failed"]) == (0, 0)
    assert counts["passed"] == counts["checks"]
    assert "No component was compiled, linted or tested: node and npm are not" in whole.stderr

    in_ci = checked(PROJECT, CI="true")
    assert in_ci.returncode == 1
    assert json.loads(in_ci.stdout.splitlines()[-1])["failed"] == 1
    assert "No component was compiled" in in_ci.stdout

    (project / ACTION).unlink()
    (project / USERS).unlink()
    broken = checked(project)
    assert broken.returncode == 1
    lines = broken.stdout.splitlines()
    assert json.loads(lines[-1])["failed"] == len(lines) - 1


def test_a_component_without_its_template_is_refused(project: Path) -> None:
    """What a class shows stands beside it."""
    (project / f"{PROGRESS}.html").unlink()
    failures = check_project(project).failures
    assert any("there is no requestProgress.html" in sentence for sentence in failures)


@pytest.mark.long
def test_components_are_held_to_salesforces_own_tools(project: Path) -> None:
    """What compiles no more, what is bad style, and what fails a test of its own, each is said."""
    findings = Findings()
    untested = run_component_tests(project, findings)
    if untested and "CI" not in os.environ:
        pytest.skip(untested)
    assert (untested, findings.failures) == ("", [])
    assert findings.checks > 15

    source = (project / CLASS).read_text(encoding="utf-8")
    exception = (
        "// eslint-disable-next-line @lwc/lwc/no-async-operation -- nothing tells of the answer"
    )
    broken = source.replace(exception, "").replace("Nobody has taken it up yet.", "Wait.")
    (project / CLASS).write_text(broken, encoding="utf-8")
    failures = Findings()
    run_component_tests(project, failures)
    said = " ".join(failures.failures)
    assert "Restricted async operation" in said
    assert "says after a while that nothing is lost, and what to do: failed." in said

    template = project / f"{PROGRESS}.html"
    text = template.read_text(encoding="utf-8")
    template.write_text(text.replace("lwc:if={isLate}", "lwc:if={isLate"), encoding="utf-8")
    failures = Findings()
    run_component_tests(project, failures)
    assert "requestProgress.html: LWC" in " ".join(failures.failures)
